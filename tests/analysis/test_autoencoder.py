import numpy as np
import pytest

from appliance.analysis import autoencoder


def low_rank(n, k, rank, seed, noise=0.1):
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(0).standard_normal((rank, k)) / np.sqrt(rank)
    return (rng.standard_normal((n, rank)) @ basis + noise * rng.standard_normal((n, k))).astype(np.float32)


def error(layers, X):
    return float(np.mean((autoencoder.forward(layers, X) - X) ** 2))


@pytest.mark.parametrize(("n", "k"), [(25, 9), (25, 147), (60, 174), (400, 58), (3, 4)])
def test_before_any_step_it_is_the_projection_on_the_principal_components(n, k):
    X = low_rank(n, k, 3, 1)
    layers = autoencoder.train(X, steps=0, seed=1)
    b = layers[1].bias.size
    mean = X.mean(axis=0)
    V = np.linalg.svd((X - mean).astype(float), full_matrices=False)[2][:b]
    # 0.3 sigma of spare units never reach the output before training.
    assert np.allclose(autoencoder.forward(layers, X), (X - mean) @ V.T @ V + mean, atol=2e-4)
    assert 1 <= b <= min(15, max(1, k // 4), max(1, n // 3))


@pytest.mark.parametrize(("n", "k", "hidden"), [(60, 100, 15), (120, 100, 30), (400, 100, 45), (400, 20, 15)])
def test_every_hidden_unit_has_four_windows_to_learn_from(n, k, hidden):
    layers = autoencoder.train(low_rank(n, k, 3, 1), steps=0, seed=1)
    assert [layer.bias.size for layer in layers][::2] == [hidden, hidden]


def test_few_windows_leave_the_components_their_pairs_of_units():
    layers = autoencoder.train(low_rank(25, 100, 25, 1), steps=0, seed=1)
    assert layers[0].bias.size == 2 * layers[1].bias.size == 16


def test_training_improves_on_the_components_where_the_data_are_curved():
    angle = np.random.default_rng(2).uniform(-2, 2, (500, 1))
    X = np.concatenate([np.sin(angle * f) for f in (0.5, 1, 1.5, 2, 2.5)] * 4, axis=1).astype(np.float32)
    components = error(autoencoder.train(X, steps=0, seed=1), X)
    trained = error(autoencoder.train(X, steps=1500, seed=1), X)
    assert trained < 0.7 * components


def test_unseen_windows_of_the_same_kind_are_reconstructed():
    layers = autoencoder.train(low_rank(300, 40, 4, 1), steps=600, seed=1)
    unseen = low_rank(100, 40, 4, 2)
    assert error(layers, unseen) < 0.25 * float(np.mean(unseen**2))  # EXPLAINED leaves 0.2


def test_gradient_agrees_with_finite_differences():
    X = low_rank(8, 6, 2, 3)
    network = autoencoder._Network((6, 5, 2, 5, 6), (True, False, True, False))
    rng = np.random.default_rng(4)
    network._parameters[:] = rng.standard_normal(network._parameters.size, dtype=np.float32) * 0.5
    exact = [autoencoder.Dense(d.weight.astype(float), d.bias.astype(float), d.relu) for d in network.layers]
    network.descend(X, X, 0.0)  # rate 0: gradients, no step
    for layer, (weight, bias) in zip(exact, network._slopes, strict=True):
        for values, slope in ((layer.weight, weight), (layer.bias, bias)):
            at = np.unravel_index(int(np.abs(slope).argmax()), slope.shape)
            values[at] += 1e-5
            above = error(exact, X.astype(float))
            values[at] -= 2e-5
            below = error(exact, X.astype(float))
            values[at] += 1e-5
            assert slope[at] == pytest.approx((above - below) / 2e-5, rel=1e-2, abs=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    X = low_rank(80, 30, 3, 1)
    one, same, other = (autoencoder.train(X, steps=50, seed=seed) for seed in (5, 5, 6))
    assert all(a.weight.tobytes() == b.weight.tobytes() for a, b in zip(one, same, strict=True))
    assert any(a.weight.tobytes() != b.weight.tobytes() for a, b in zip(one, other, strict=True))


def test_progress_rises_to_one_and_may_cancel():
    seen = []
    autoencoder.train(low_rank(40, 12, 2, 1), steps=100, seed=1, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def cancel(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        autoencoder.train(low_rank(40, 12, 2, 1), steps=100, seed=1, progress=cancel)


def test_work_is_bounded():
    assert autoencoder.steps_for(1) == 400
    assert autoencoder.steps_for(10**7) == 4000
