"""Charts as SVG, drawn by us: no script, no font and no file from elsewhere. Colours come from the page's style."""
