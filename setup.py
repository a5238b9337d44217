"""Build the compiled kernels: one Cython source, once for each SIMD level and dtype.

``FASTNN_NO_EXTENSIONS=1`` builds without them (the NumPy kernels then do the work); in
every other case a compiler that fails makes the installation fail.  While working on the
kernels, ``FASTNN_SIMD_LEVELS=v3`` (or v2,v3) builds these levels alone.
"""

import os
import platform
import shutil
from glob import glob
from pathlib import Path
from runpy import run_path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

# Each level is a module of its own and is imported only where the CPU can run it, so that
# the compiler may use its instructions everywhere in it.
SIMD_LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
if platform.machine().lower() not in ("x86_64", "amd64"):
    SIMD_LEVELS = {"baseline": []}
if os.environ.get("FASTNN_SIMD_LEVELS"):
    SIMD_LEVELS = {name: SIMD_LEVELS[name] for name in os.environ["FASTNN_SIMD_LEVELS"].split(",")}

# NaN and infinity keep their meaning: none of -ffast-math but what concerns errno, traps
# and fused multiply-add.
COMPILE_ARGS = [
    "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-g0",
    # The inner loop of a tile is 3 to 5 % slower where it happens to straddle a line of the
    # decoder's cache; without this any change elsewhere in the file may move it there.
    "-falign-loops=32",
]  # fmt: skip

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}

POLYNOMIALS = "fastnn/_polynomials.py"
GENERATED = Path("build/generated")


def write_polynomials_header():
    """polynomials.h: each tuple of coefficients as an array of C, and its length as a constant."""
    lines = {"FLOAT32": ["#if REAL_IS_FLOAT"], "FLOAT64": ["#else"], "": ["#endif"]}
    for key, value in run_path(POLYNOMIALS).items():
        if isinstance(value, tuple):
            name, _, dtype = key.rpartition("_") if key.endswith(("32", "64")) else (key, "", "")
            numbers = ", ".join(map(repr, value))
            lines[dtype].append(f"enum {{ {name}_COUNT = {len(value)} }};")
            lines[dtype].append(f"static const real {name}[] = {{{numbers}}};")
    text = f"/* Written by setup.py from {POLYNOMIALS}. */\n" + "\n".join(sum(lines.values(), [""]))
    header = GENERATED / "polynomials.h"
    if not header.exists() or header.read_text() != text:  # else nothing need be compiled again
        GENERATED.mkdir(parents=True, exist_ok=True)
        header.write_text(text)


def extensions():
    import numpy
    from Cython.Build import cythonize

    write_polynomials_header()
    common = {
        "include_dirs": ["fastnn", str(GENERATED), numpy.get_include()],
        "depends": ["fastnn/_kernels.pyx", POLYNOMIALS, *sorted(glob("fastnn/_cython/*"))],
    }
    modules = [Extension("fastnn._cpu", ["fastnn/_cpu.pyx"], extra_compile_args=["-O2", "-g0"])]
    for level, machine_args in SIMD_LEVELS.items():
        for dtype in ("float32", "float64"):
            modules.append(
                Extension(
                    f"fastnn._simd.{level}_{dtype}",
                    [f"fastnn/_simd/{level}_{dtype}.pyx"],
                    define_macros=[
                        ("REAL_IS_FLOAT", "1" if dtype == "float32" else "0"),
                        ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                    ],
                    extra_compile_args=COMPILE_ARGS + machine_args,
                    **common,
                )
            )
    return cythonize(
        modules, include_path=["fastnn"], build_dir="build/cython", compiler_directives=DIRECTIVES
    )


class BuildExtensions(build_ext):
    """`build_ext` whose last line says what is missing, and what can be done without it."""

    def run(self):
        try:
            super().run()
        except (BaseError, CCompilerError, OSError):
            command = getattr(self.compiler, "compiler_so", ["cc"])[0]
            what = "the compiler's words are above"
            if shutil.which(command) is None:
                what = f"there is no compiler {command!r}"
            # SystemExit: neither a traceback nor a tip of setuptools comes after it.
            raise SystemExit(
                f"error: the kernels of fastnn were not compiled ({what}). They need a C compiler "
                "(GCC or Clang) and the headers of Python (python3-dev or python3-devel); "
                "FASTNN_NO_EXTENSIONS=1 pip install . installs without compiled kernels"
            ) from None


without = os.environ.get("FASTNN_NO_EXTENSIONS") == "1"
setup(
    ext_modules=[] if without else extensions(),
    cmdclass={"build_ext": BuildExtensions},
    options={"build_ext": {"parallel": os.cpu_count()}},
)
