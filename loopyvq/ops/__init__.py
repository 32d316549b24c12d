"""Operations on tensors that know nothing of quantizers or models."""
