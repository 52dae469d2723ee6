"""pod: what a template may say (`template`), and the pod that is made of it (`manifest`)."""
