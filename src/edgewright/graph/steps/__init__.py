"""One file per step; the file's name is the step's kind and its `apply(model, spec, params)` does it."""
