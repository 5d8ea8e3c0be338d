"""What must be remembered: generators and corpora."""
