package dev.manners.tensor;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/// x Wᵀ + b, in f32 on all threads.
///
/// The binding's libtorch leaves f32 products to OpenBLAS, which is held to one thread ([LibTorch]). Its convolutions
/// are oneDNN's, as its bf16 products are, and run on libtorch's own threads. A convolution of N pixels with a 1 x 1
/// kernel is the same product, forward and backward, and nothing is copied: channels last, the pixels are the rows.
///
/// oneDNN compiles a kernel for every shape, which takes most of a millisecond and memory that it keeps. So only round
/// numbers of rows are multiplied this way, of which there are few; [#roundRows] says which.
final class MatrixProduct {

    private static final long ROUND = 64;

    /// With fewer values libtorch itself keeps to a slow convolution of its own.
    private static final long FEWEST_VALUES = 20_480;

    private static final long[] ONE = {1, 1};
    private static final long[] ZERO = {0, 0};

    private MatrixProduct() {}

    /// @param x [N, in], or more dimensions before the last
    /// @param weight [out, in]
    /// @return [N, out]
    static Tensor of(Tensor x, Tensor weight, @Nullable Tensor bias) {
        if (convolves(x, weight)) {
            long rows = x.size(0);
            long in = x.size(1);
            long out = weight.size(0);
            var pixels = x.view(1, 1, rows, in).permute(0, 3, 1, 2); // [1, in, 1, N]
            var kernels = weight.view(out, in, 1, 1);
            var b = bias == null ? new TensorOptional() : new TensorOptional(bias);
            var product = torch.conv2d(pixels, kernels, b, ONE, ZERO, ONE, 1); // [1, out, 1, N]
            return product.permute(0, 2, 3, 1).view(rows, out);
        }
        return bias == null ? torch.linear(x, weight) : torch.linear(x, weight, new TensorOptional(bias));
    }

    static long roundRows(long rows, long in, DType dtype) {
        boolean many = rows * in > FEWEST_VALUES && rows >= ROUND;
        return many && dtype == DType.F32 && convolves() ? (rows + ROUND - 1) / ROUND * ROUND : rows;
    }

    private static boolean convolves() {
        return torch.get_num_threads() > 1 && torch.hasMKLDNN();
    }

    static boolean convolves(Tensor x, Tensor weight) {
        return x.dim() == 2
                && x.size(0) % ROUND == 0
                && x.size(0) * x.size(1) > FEWEST_VALUES
                && x.scalar_type().intern() == torch.ScalarType.Float
                && weight.scalar_type().intern() == torch.ScalarType.Float
                && convolves();
    }
}
