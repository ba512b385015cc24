"""What `doctor` looks at: a module a subject, each with `check(config)`, which gives findings and changes nothing."""
