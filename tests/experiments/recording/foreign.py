"""A foreign program's training, written out in plain NumPy: dense layers, softmax cross-entropy, SGD."""

import numpy as np

F = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: 0.25 / np.cosh(z / 2) ** 2),
}


class Foreign:
    """A network of `sizes`; `step` gives the loss and the arrays by layer, and updates the weights."""

    def __init__(self, sizes=(5, 7, 6, 3), activation="tanh", seed=0, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.f, self.df = F[activation]
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.w = [(rng.normal(size=pair) / np.sqrt(pair[0])).astype(dtype) for pair in pairs]
        self.b = [rng.normal(scale=0.1, size=pair[1]).astype(dtype) for pair in pairs]
        self.x = rng.normal(size=(24, sizes[0])).astype(dtype)
        self.y = np.arange(24) % sizes[-1]

    def step(self, lr=0.1, rows=slice(None)):
        x, y, layers = self.x[rows], self.y[rows], []
        for index, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            z = x @ w + b
            layers.append({"x": x, "w": w.copy(), "b": b.copy(), "z": z})
            x = layers[-1]["a"] = z if index == len(self.w) - 1 else self.f(z)
        p = np.exp(x - x.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        delta = (p - np.eye(p.shape[1], dtype=p.dtype)[y]) / np.asarray(len(y), p.dtype)
        for index in reversed(range(len(layers))):
            layer = layers[index]
            layer |= {"delta": delta, "dw": layer["x"].T @ delta, "db": delta.sum(axis=0)}
            layer["step"] = -lr * layer["dw"]
            if index:
                delta = (delta @ layer["w"].T) * self.df(layers[index - 1]["z"])
        for w, b, layer in zip(self.w, self.b, layers, strict=True):
            w += layer["step"]
            b -= lr * layer["db"]
        named = {f"fc{number}": layer for number, layer in enumerate(layers, start=1)}
        return float(loss), named, float((x.argmax(axis=1) == y).mean())
