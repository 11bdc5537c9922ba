"""When a pipeline runs by itself: section `schedule`, in the foreground here or on a cluster."""
