"""Who else is told of trials, after the ledger has them: TensorBoard, MLflow, Weights & Biases, an Optuna storage."""
