"""Fine-tuning a model on local classes, without its windows."""
