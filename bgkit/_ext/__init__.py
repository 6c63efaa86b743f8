"""The compiled kernels. Arrays come in checked and allocated; a kernel returns nothing and cannot fail."""
