"""AWS IoT Jobs: executions, rollouts, and the calls that make jobs."""
