"""What refuses soft labels in a module for JAX. Modules for other frameworks leave it out: few of them know what is traced."""

# A function, with an empty line before it and behind it.
CHECK = '''
def _expect_one_hot(target):
    """Refuses other labels where there are values of them: while a function is traced, there are none."""
    if isinstance(target, jax.core.Tracer):
        return
    labels = jax.device_get(target)
    if ((labels != 0) & (labels != 1)).any() or (labels.sum(axis=-1) != 1).any():
        raise ValueError("target must be one-hot, [N, C]: the loss is defined for no other labels")

'''
# A statement of a function that takes the labels.
CALL = "    _expect_one_hot(target)\n"


def without_check(source: str) -> str:
    """The source of a module without it."""
    return source.replace(CHECK, "").replace(CALL, "")
