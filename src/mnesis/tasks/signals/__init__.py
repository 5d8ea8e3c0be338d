"""Series and sound: foretold, told apart, said again."""
