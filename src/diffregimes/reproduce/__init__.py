"""The figures and tables of the paper, one module each: computed, drawn, and compared in a table.

G. Biroli, T. Bonnaire, V. de Bortoli, M. Mezard, Dynamical regimes of diffusion models, arXiv
2402.18491. Each module has `reproduce(...)`, which gives a `tables.Reproduction`.
"""
