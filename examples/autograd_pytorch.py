"""PyTorch differentiates through convlib
=========================================

Gradients are plain functions of arrays, so a custom function for any autograd is a few lines.  Since a convolution is
linear in its input and in its weights, its gradients are convolutions again: built from the same functions, they can
themselves be differentiated, which ``gradgradcheck`` verifies.

Needs PyTorch; says so and stops if it is missing.

Run:  python examples/autograd_pytorch.py
"""

# sphinx_gallery_thumbnail_path = "docs/pictures/gradient_weight.svg"

import sys

import convlib

try:
    import torch
except ImportError:
    print("skipped: this example needs PyTorch (pip install torch)")
    sys.exit(0)


class Conv2d(torch.autograd.Function):
    """``convlib.conv2d`` as a differentiable function of tensors."""

    @staticmethod
    def forward(context, x, w, options):
        """Compute the convolution."""
        context.save_for_backward(x, w)
        context.options = options
        return torch.from_numpy(convlib.conv2d(x.detach().numpy(), w.detach().numpy(), **options))

    @staticmethod
    def backward(context, grad_y):
        """Hand the gradients on, differentiable in turn."""
        x, w = context.saved_tensors
        grad_x = GradInput.apply(grad_y, w, tuple(x.shape), context.options)
        grad_w = GradWeight.apply(grad_y, x, tuple(w.shape), context.options)
        return grad_x, grad_w, None


class GradInput(torch.autograd.Function):
    """``convlib.conv2d_grad_input``: linear in the gradient and in the weights."""

    @staticmethod
    def forward(context, grad_y, w, x_shape, options):
        """Compute the gradient with respect to the input."""
        context.save_for_backward(grad_y, w)
        context.options = options
        return torch.from_numpy(
            convlib.conv2d_grad_input(grad_y.detach().numpy(), w.detach().numpy(), x_shape, **options)
        )

    @staticmethod
    def backward(context, grad):
        """Differentiate once more: `grad` takes the place of the input."""
        grad_y, w = context.saved_tensors
        by_grad_y = Conv2d.apply(grad, w, context.options)
        by_w = GradWeight.apply(grad_y, grad, tuple(w.shape), context.options)
        return by_grad_y, by_w, None, None


class GradWeight(torch.autograd.Function):
    """``convlib.conv2d_grad_weight``: linear in the gradient and in the input."""

    @staticmethod
    def forward(context, grad_y, x, w_shape, options):
        """Compute the gradient with respect to the weights."""
        context.save_for_backward(grad_y, x)
        context.options = options
        return torch.from_numpy(
            convlib.conv2d_grad_weight(grad_y.detach().numpy(), x.detach().numpy(), w_shape, **options)
        )

    @staticmethod
    def backward(context, grad):
        """Differentiate once more: `grad` takes the place of the weights."""
        grad_y, x = context.saved_tensors
        by_grad_y = Conv2d.apply(x, grad, context.options)
        by_x = GradInput.apply(grad_y, grad, tuple(x.shape), context.options)
        return by_grad_y, by_x, None, None


class MaxPool2d(torch.autograd.Function):
    """``convlib.max_pool2d`` as a differentiable function of tensors."""

    @staticmethod
    def forward(context, x, size):
        """Pool, and keep where the maxima were."""
        y, context.indices = convlib.max_pool2d(x.detach().numpy(), size, return_indices=True)
        context.shape = tuple(x.shape)
        return torch.from_numpy(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, grad_y):
        """Return each gradient to its maximum."""
        return torch.from_numpy(convlib.max_pool2d_grad_input(grad_y.numpy(), context.indices, context.shape)), None


def main():
    """Check first and second derivatives of several convolutions against differences; return how many were checked."""
    torch.manual_seed(0)
    cases = (
        ((2, 3, 6, 5), (4, 3, 3, 3), {"padding": 1}),
        ((1, 4, 7, 6), (6, 2, 3, 2), {"stride": 2, "groups": 2, "padding": ((1, 0), (0, 2))}),
        ((1, 2, 7, 7), (2, 1, 2, 3), {"dilation": 2, "groups": 2, "padding": "same"}),
    )
    for x_shape, w_shape, options in cases:
        x = torch.randn(x_shape, dtype=torch.float64, requires_grad=True)
        w = torch.randn(w_shape, dtype=torch.float64, requires_grad=True)

        def conv(x, w, options=options):
            return Conv2d.apply(x, w, options)

        assert torch.autograd.gradcheck(conv, (x, w))
        assert torch.autograd.gradgradcheck(conv, (x, w))
        print("gradcheck and gradgradcheck passed: conv2d", x_shape, w_shape, options)
    x = torch.randperm(72).double().reshape(1, 2, 6, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: MaxPool2d.apply(x, 2), (x,))
    print("gradcheck passed: max_pool2d")
    return len(cases) + 1


if __name__ == "__main__":
    main()
