"""WeChat's rules as plain objects: no HTTP, no sleeping; time comes from the simulated clock."""
