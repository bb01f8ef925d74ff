"""The vocabulary: for each primitive its word, and the array function that carries it out."""

import numpy as np

from alkahest.extend import lowering_rules, prim_by_name

WORDS = {
    "add": ("+", np.add),
    "sub": ("-", np.subtract),
    "mul": ("*", np.multiply),
    "div": ("/", np.divide),
    "neg": ("chs", np.negative),
    "pow": ("^", np.power),
    "sqrt": ("sqrt", np.sqrt),
    "exp": ("exp", np.exp),
    "log": ("ln", np.log),
    "sin": ("sin", np.sin),
    "cos": ("cos", np.cos),
    "lt": ("<", np.less),
    "max": ("max", np.maximum),
}

for name, word in WORDS.items():
    lowering_rules("rpn").set(prim_by_name(name), word)
