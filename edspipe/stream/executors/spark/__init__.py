"""The Spark executor: streams over the partitions of a Spark frame, on a cluster or here."""
