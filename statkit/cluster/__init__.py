"""Clustering: several views or kernels of the same objects, one partition."""

from statkit._lazy import lazy_names

_WHERE = {
    "AnchorMultiViewClustering": "statkit.cluster.anchors",
    "CoRegularizedSpectralClustering": "statkit.cluster.co_regularized",
    "ConsensusClustering": "statkit.cluster.consensus",
    "GraphFusionClustering": "statkit.cluster.graph_fusion",
    "KernelKMeans": "statkit.cluster.kernel_kmeans",
    "LateFusionClustering": "statkit.cluster.late_fusion",
    "LocalSampleWeightedMKC": "statkit.cluster.local_sample_weighted",
    "MultiViewKMeans": "statkit.cluster.multiview_kmeans",
    "MultipleKernelKMeans": "statkit.cluster.multiple_kernel",
    "OneStepMultiViewClustering": "statkit.cluster.one_step_multiview",
    "SimilarityNetworkFusion": "statkit.cluster.similarity_network",
    "center_kernel": "statkit.cluster.kernels",
    "coassociation_matrix": "statkit.cluster.consensus",
    "compare_views": "statkit.cluster.compare_views",
    "kernel_stack": "statkit.cluster.kernels",
    "normalize_kernel": "statkit.cluster.kernels",
    "suggest_n_clusters": "statkit.cluster.suggest_n_clusters",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
