"""The live preview: what is in view labelled at once, from features that are kept between requests."""
