"""What `doctor` looks at: functions from the configuration to findings, which change nothing."""
