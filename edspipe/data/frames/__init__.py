"""Tables in memory: pandas, polars, Hugging Face datasets, Spark."""
