"""What every space promises: those that are registered, and those from outside the package."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.spaces.check import check_space
from tests.compilations import counted
from tests.contracts.all_spaces import draw


def inputs_for(space, seed=0):
    """Random inputs of every branch, `[6, 1, 1, 4]`, or `[6, 1, 1, 1]` for one value per sample.

    One-hot targets, and numbers between 0.1 and 0.9 for everything else.
    """
    random = np.random.default_rng(seed)

    def array(name, program):
        if program is not None and name in program.per_sample_inputs:
            return random.uniform(0.1, 0.9, (6, 1, 1, 1)).astype(np.float32)
        if name == "target":
            return np.eye(4, dtype=np.float32)[random.integers(4, size=6)][:, None, None]
        return random.uniform(0.1, 0.9, (6, 1, 1, 4)).astype(np.float32)

    return {
        branch.name: LossInputs.create({name: jnp.asarray(array(name, branch.form.program)) for name in branch.form.inputs})
        for branch in space.branches
    }


class TestSpaces:
    def test_it_is_what_a_space_has_to_be(self, space):
        check_space(space, jax.eval_shape(lambda: inputs_for(space)))

    def test_a_draw_is_the_same_for_the_same_generator(self, space):
        assert [space.write(draw(space, seed)) for seed in range(5)] == [space.write(draw(space, seed)) for seed in range(5)]
        assert len({space.write(draw(space, seed)) for seed in range(20)}) > 10

    def test_what_is_written_is_read_as_the_same_loss(self, space):
        for seed in range(20):
            candidate = draw(space, seed)
            again = space.parse(space.write(candidate))
            assert space.key(again) == space.key(candidate)
            assert space.write(again) == space.write(candidate)

    def test_offspring_belong_to_the_space(self, space):
        random = np.random.default_rng(1)
        for branch in space.branches:
            parents = [space.sample(random, branch) for _ in range(space.num_parents)]
            for _ in range(10):
                child, origin = space.offspring(random, branch, parents)
                assert origin
                assert branch.form.write(branch.form.parse(branch.form.write(child))) == branch.form.write(child)
                parents = [child] * space.num_parents

    def test_what_is_decoded_is_the_same_loss(self, space):
        for seed in range(20):
            encoded = space.encode(draw(space, seed))
            for branch in space.branches:
                if branch.form.decode is not None:
                    again = branch.form.encode(branch.form.decode(encoded[branch.name]))
                    jax.tree.map(np.testing.assert_array_equal, again, encoded[branch.name])

    def test_what_is_called_smaller_is_smaller_and_can_be_computed(self, space):
        for branch in space.branches:
            if branch.form.smaller is None:
                continue
            for seed in range(5):
                expression = branch.form.canonical(space.sample(np.random.default_rng(seed), branch))
                for one in branch.form.smaller(expression):
                    branch.form.encode(one)
                    assert branch.form.key(branch.form.parse(branch.form.write(one))) == branch.form.key(one)
                    assert branch.form.key(one) != branch.form.key(expression)

    def test_a_loss_without_one_of_its_terms_is_another_and_can_be_computed(self, space):
        for branch in space.branches:
            if branch.form.ablated is None:
                continue
            for seed in range(5):
                expression = space.sample(np.random.default_rng(seed), branch)
                for term, left in branch.form.ablated(expression).items():
                    assert term
                    branch.form.encode(left)
                    assert branch.form.key(branch.form.parse(branch.form.write(left))) == branch.form.key(left)
                    assert branch.form.key(left) != branch.form.key(expression)

    def test_the_encoded_loss_is_the_compiled_one_and_nothing_is_compiled_for_a_candidate(self, space):
        candidates = [draw(space, seed) for seed in range(4)]
        inputs = inputs_for(space)
        any_loss = jax.jit(jax.value_and_grad(lambda inputs, one: space.loss(one, inputs), allow_int=True))
        found = [any_loss(inputs, space.encode(one)) for one in candidates[:1]]
        with counted() as compilations:
            found += [any_loss(inputs, space.encode(one)) for one in candidates[1:]]
        assert not compilations
        together = jax.jit(lambda inputs: [jax.value_and_grad(space.compile(one), allow_int=True)(inputs) for one in candidates])(
            inputs
        )
        for (value, gradient), (wanted, slope) in zip(found, together, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-6)
            for name in inputs:
                for array, other in zip(jax.tree.leaves(gradient[name].arrays), jax.tree.leaves(slope[name].arrays), strict=True):
                    np.testing.assert_allclose(array, other, rtol=1e-3, atol=1e-5)

    def test_what_cannot_be_read_is_one_line(self, space):
        with pytest.raises(UserError) as error:
            space.parse("no such loss (")
        assert "\n" not in str(error.value)
