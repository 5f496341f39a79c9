"""Why one prediction came out as it did, by asking the model as served again and again.

`shapley` contributions with shap · `child` the process that computes them · `process` this process's hold on it ·
`nearest` past cases like it · `explainer` all of it together.
"""
