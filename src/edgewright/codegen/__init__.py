"""C++ programs from a task's data: `program` writes the project, `task_data` its only generated file."""
