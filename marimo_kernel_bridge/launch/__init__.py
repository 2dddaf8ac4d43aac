"""How kernels start: kernelspecs, installation, owned kernels and warm pools."""
