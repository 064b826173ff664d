"""Clustering: probability aggregation and its family, and several views or kernels of the same objects."""

from statkit._lazy import lazy_names

_WHERE = {
    "AnchorMultiViewClustering": "statkit.cluster.anchors",
    "CoRegularizedSpectralClustering": "statkit.cluster.co_regularized",
    "ConsensusClustering": "statkit.cluster.consensus",
    "Fanny": "statkit.cluster.fuzzy",
    "FuzzyCMeans": "statkit.cluster.fuzzy",
    "GraphFusionClustering": "statkit.cluster.graph_fusion",
    "GraphPAC": "statkit.cluster.graph_pac",
    "KernelKMeans": "statkit.cluster.kernel_kmeans",
    "LateFusionClustering": "statkit.cluster.late_fusion",
    "LocalSampleWeightedMKC": "statkit.cluster.local_sample_weighted",
    "MultiViewKMeans": "statkit.cluster.multiview_kmeans",
    "MultipleKernelKMeans": "statkit.cluster.multiple_kernel",
    "OneStepMultiViewClustering": "statkit.cluster.one_step_multiview",
    "OnlinePAC": "statkit.cluster.online_pac",
    "PAC": "statkit.cluster.pac",
    "PACHead": "statkit.cluster.pac_head",
    "SimilarityNetworkFusion": "statkit.cluster.similarity_network",
    "balanced_assignment": "statkit.cluster.pac_functions",
    "center_kernel": "statkit.cluster.kernels",
    "clustering_accuracy": "statkit.cluster.cluster_scores",
    "coassociation_matrix": "statkit.cluster.consensus",
    "compare_views": "statkit.cluster.compare_views",
    "critical_exponent": "statkit.cluster.pac_functions",
    "fuzzy_silhouette": "statkit.cluster.cluster_scores",
    "kernel_stack": "statkit.cluster.kernels",
    "kernel_to_distance": "statkit.cluster.pac_functions",
    "n_clusters_spectrum": "statkit.cluster.pac_functions",
    "normalize_kernel": "statkit.cluster.kernels",
    "opa_targets": "statkit.cluster.pac_head",
    "pac_objective": "statkit.cluster.pac_functions",
    "partition_coefficient": "statkit.cluster.cluster_scores",
    "partition_entropy": "statkit.cluster.cluster_scores",
    "probability_aggregation": "statkit.cluster.pac_functions",
    "suggest_n_clusters": "statkit.cluster.suggest_n_clusters",
    "xie_beni": "statkit.cluster.cluster_scores",
}

__all__ = sorted(_WHERE)

__getattr__, __dir__ = lazy_names(__name__, _WHERE)
