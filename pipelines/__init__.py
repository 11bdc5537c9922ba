"""What to run and where: the spec, the graph it becomes, and the runners."""
