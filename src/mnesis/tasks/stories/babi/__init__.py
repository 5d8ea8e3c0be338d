"""bAbI: the original files, our own simulators of all twenty tasks, and the task made of both."""
