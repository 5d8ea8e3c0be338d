"""The contract, states, laws, tasks and the catalog."""
