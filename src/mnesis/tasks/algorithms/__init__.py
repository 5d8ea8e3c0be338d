"""Computing with what is read: sums, groups, automata, graphs, nested expressions."""
