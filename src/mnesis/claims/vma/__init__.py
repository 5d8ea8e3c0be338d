"""The claims of Bornschein et al. 2017, "Variational Memory Addressing in Generative Models" (arXiv 1709.07116)."""
