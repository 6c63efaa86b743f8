"""Which variant of the kernels runs: a level of x86-64, or 0 where the compiler made only one."""

cdef extern from "isa.h":
    int widest()
    int chosen()

WIDEST, CHOSEN = widest(), chosen()
