"""The public Python API: what `import personagen` exports."""
