"""Passes trials on to TensorBoard, MLflow, Weights & Biases or an Optuna storage, once the ledger has recorded them."""
