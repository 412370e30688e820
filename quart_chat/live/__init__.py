"""What tabs see: revisioned documents and who looks at them."""
