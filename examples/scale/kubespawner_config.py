"""JupyterHub on Kubernetes with KubeSpawner: a pod for each user, with room for a few of their kernels.

What the pod may use is Kubernetes' to hold; the limits of each kernel are in the kernelspec of the image (Dockerfile). A kernel's own limit lies
below the pod's: then a cell gets a MemoryError and the kernel lives, where Kubernetes would end the pod.
"""

c = get_config()  # noqa: F821  # JupyterHub gives it

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"

c.KubeSpawner.image = "registry.example.org/marimo-kernel:2026.11"
c.KubeSpawner.uid = 1000
c.KubeSpawner.fs_gid = 100
c.KubeSpawner.start_timeout = 120

# docs/scale.md has what a kernel costs
c.KubeSpawner.cpu_guarantee = 0.1
c.KubeSpawner.cpu_limit = 2
c.KubeSpawner.mem_guarantee = "512M"
c.KubeSpawner.mem_limit = "4G"

# Checkpoints, sessions and the audit log are in Jupyter's data directory: on the user's volume they outlive the pod
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.pvc_name_template = "home-{username}"
c.KubeSpawner.storage_capacity = "10Gi"
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home-{username}"}}]
c.KubeSpawner.volume_mounts = [{"name": "home", "mountPath": "/home/jovyan"}]
c.KubeSpawner.environment = {"JUPYTER_DATA_DIR": "/home/jovyan/.local/share/jupyter"}
