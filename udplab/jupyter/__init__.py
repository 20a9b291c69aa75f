"""How JupyterLab is started: on the learner's own copies of the lessons, with this environment's kernel, quietly."""
