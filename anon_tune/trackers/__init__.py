"""Trackers that receive trials after the ledger has them: TensorBoard, MLflow, Weights & Biases, an Optuna storage."""
