"""Vision and bank together: who is this, and how sure are we?"""
