"""The plots of the report, one module per part of the page; each returns SVG text."""
