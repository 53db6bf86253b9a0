//! Assembly: configuration, commands, tasks, metrics, shutdown.
