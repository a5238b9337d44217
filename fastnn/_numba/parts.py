"""How Numba compiles the inner functions of ``_kernels_numba.py``: in half the time.

As Numba has it, each function is optimized and made machine code of by itself, and once more
in each of its callers.  Here that happens only where it is linked to.  This leans on Numba's
inner parts, so it is done for the versions that it was tried with, and others compile in
their own way: slower, with the same result.
"""

import numba
from numba.core.compiler import Compiler

__all__ = ["TRIED_WITH", "part_compiler"]

TRIED_WITH = ("0.68.",)


def part_compiler():
    """Return the compiler class for inner functions."""
    if not numba.__version__.startswith(TRIED_WITH):
        return Compiler
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.compiler_machinery import register_pass
    from numba.core.typed_passes import InlineOverloads, NativeLowering, NopythonRewrites
    from numba.core.untyped_passes import InlineClosureLikes

    # Passes for what these functions do not have: closures, overloads, array expressions.
    needless = (InlineClosureLikes, InlineOverloads, NopythonRewrites)

    class Part(JITCodeLibrary):
        """The code of an inner function: LLVM optimizes it where it is linked to, and only there.

        As Numba has it, each function would be optimized and made machine code of by itself,
        and once more in each of its callers.
        """

        def _optimize_functions(self, module):
            module.data_layout = self.codegen._data_layout

        def finalize(self):
            self._finalized = True

    @register_pass(mutates_CFG=True, analysis_only=False)
    class PartLowering(NativeLowering):
        """Lowering of an inner function, which becomes a `Part`."""

        _name = "fastnn_part_lowering"

        def run_pass(self, state):
            state.library = part = Part(state.targetctx.codegen(), state.func_id.func_qualname)
            state.flags.no_compile = True
            super().run_pass(state)
            # By this object callers find the function, and link it and what it calls; Numba wants
            # one of this kind.  Nobody calls it.
            key = [].append
            state.targetctx.insert_user_function(
                key, state.cr.fndesc, [part, *part._linking_libraries]
            )
            state.cr = state.cr._replace(cfunc=key)
            return True

    class PartCompiler(CompilerBase):
        """Numba's own pipeline, with that lowering and without the needless passes."""

        def define_pipelines(self):
            pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
            pipeline.passes = [
                (PartLowering if step is NativeLowering else step, why)
                for step, why in pipeline.passes
                if step not in needless
            ]
            pipeline.finalize()
            return [pipeline]

    return PartCompiler
