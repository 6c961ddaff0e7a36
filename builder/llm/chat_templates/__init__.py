"""The chat templates of local models: learn what one renders, and render chats with it. No model is imported."""
