"""Compile the kernels: every ``ext/NAME.pyx`` becomes ``bgkit._ext.NAME``.

A wheel holds kernels of the stable ABI, so that one wheel serves every Python from 3.11 on. What is built in place is
for the Python at hand.

``BGKIT_DEBUG=1`` builds with bounds checked and without optimization; ``BGKIT_SANITIZE=address``
(or ``undefined``, or both with a comma) builds with those sanitizers.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("BGKIT_DEBUG") == "1"
SANITIZE = os.environ.get("BGKIT_SANITIZE", "")
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))  # has no stable ABI
STABLE_ABI = "bdist_wheel" in sys.argv and not (DEBUG or SANITIZE or FREE_THREADED)


def included(source):
    """Return the headers in ext/ that a file includes, and those that they include."""
    found = set()
    for name in re.findall(r'"(\w+\.h)"', source.read_text()):
        header = Path("ext", name)
        found |= {header.as_posix(), *included(header)}
    return found


class BuildKernels(build_ext):
    """Add the flags that the compiler at hand understands."""

    def build_extensions(self):
        compile_args, link_args = [], []
        if self.compiler.compiler_type == "msvc":
            compile_args += ["/Od" if DEBUG else "/O2", "/openmp"]
        else:
            compile_args += ["-std=c11", "-Wno-unused-function"]
            # Kernels neither read errno nor trap; without these the vectorizer gives up on square roots.
            compile_args += ["-O1", "-g"] if DEBUG else ["-O3", "-fno-math-errno", "-fno-trapping-math"]
            if self._accepts("-fopenmp"):
                compile_args.append("-fopenmp")
                link_args.append("-fopenmp")
            if SANITIZE:
                flags = [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"]
                compile_args += flags
                link_args += flags
            elif not DEBUG:
                link_args.append("-Wl,-x" if sys.platform == "darwin" else "-s")  # symbols: nine tenths of the bytes
        for extension in self.extensions:
            extension.extra_compile_args = compile_args
            extension.extra_link_args = link_args
        super().build_extensions()

    def _accepts(self, flag):
        """Tell whether the compiler builds and links a program with ``flag``."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            command = [*self.compiler.compiler_so[:1], flag, str(source), "-o", str(Path(folder, "probe"))]
            try:
                return subprocess.run(command, capture_output=True, check=False).returncode == 0
            except OSError:
                return False


setup(
    ext_modules=cythonize(
        [
            Extension(
                f"bgkit._ext.{source.stem}",
                [source.as_posix()],
                include_dirs=["ext"],
                # Buffers came into the stable ABI with 3.11.
                define_macros=[("Py_LIMITED_API", "0x030B0000"), ("CYTHON_LIMITED_API", "1")] if STABLE_ABI else [],
                py_limited_api=STABLE_ABI,
                depends=sorted(included(source)),
            )
            for source in sorted(Path("ext").glob("*.pyx"))
        ],
        include_path=["ext"],
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "initializedcheck": DEBUG,
            "cdivision": True,
            "embedsignature": True,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
