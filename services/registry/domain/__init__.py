"""The rules of the registry. One decider per kind of stream: goals, kpis, datasets, pipelines, policies, models."""
