"""Fine-tuning of an encoder on the user's own classes, by episodes as the tool meets them.

It needs what labelling needs and nothing more: no Lightning, so that the plugin's environment can do it.
"""
