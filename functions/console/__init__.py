"""The console: pages on which administrators see the fleet and decide what it runs."""
