"""What each section of the page shows: one module per group, plain data in, what the template needs out."""
